#!/bin/sh
# Asks a model server one small question and says how it is. For cron, load balancers and people; needs curl alone.
#
#   deploy/probe.sh URL [EXPECTED_MS]
#
# URL          http://host:port, with or without /v1 (then /v1/chat/completions is asked), or the whole address of a chat endpoint
# EXPECTED_MS  an answer that takes longer is degraded (default 2000); beyond ten times that none is waited for
#
# Environment: PROBE_MODEL (default: the first of the server's /v1/models), PROBE_KEY (bearer token), PROBE_PROMPT
# (default "Say: ok"), PROBE_EXPECT (text that the answer must hold; default: any text).
#
# Prints STATUS=healthy|degraded|unhealthy,LATENCY_MS=N and, on standard error, why. Exit code: 0 healthy, 1 degraded,
# 2 unhealthy. An HTTP error, a refused connection or an empty answer is never healthy.

set -u

usage() {
  echo "usage: $0 URL [EXPECTED_MS]" >&2
  finish unhealthy 0 "$1"
}

finish() {
  echo "STATUS=$1,LATENCY_MS=$2"
  [ -z "$3" ] || echo "$3" >&2
  case $1 in
    healthy) exit 0 ;;
    degraded) exit 1 ;;
    *) exit 2 ;;
  esac
}

# A text as the inside of a JSON string.
json_text() {
  printf '%s' "$1" | tr '\n\t\r' '   ' | sed 's/\\/\\\\/g; s/"/\\"/g'
}

[ $# -ge 1 ] && [ -n "$1" ] || usage "no URL was given"
url=$1
expected_ms=${2:-2000}
case $expected_ms in
  '' | *[!0-9]* | 0*) usage "EXPECTED_MS must be a whole number of milliseconds, 1 or more" ;;
esac
[ ${#expected_ms} -le 7 ] || usage "EXPECTED_MS is more than a server could be waited for"
command -v curl >/dev/null 2>&1 || finish unhealthy 0 "curl is not installed"

url=${url%/}
url=${url%/v1}
case $url in
  http://*/*/* | https://*/*/*) base=${url%/v1/*} ;;
  http://?* | https://?*)
    base=$url
    url=$base/v1/chat/completions
    ;;
  *) usage "the URL must start with http:// or https://" ;;
esac
limit_s=$((expected_ms / 100 + 1))

# The key goes in by a file descriptor: on the command line every user of the machine could read it.
ask() {
  if [ -n "${PROBE_KEY:-}" ]; then
    printf 'header = "Authorization: Bearer %s"\n' "$(json_text "$PROBE_KEY")" |
      curl --silent --show-error --max-time "$limit_s" --config - "$@"
  else
    curl --silent --show-error --max-time "$limit_s" "$@"
  fi
}

model=${PROBE_MODEL:-}
if [ -z "$model" ]; then
  model=$(ask --fail "$base/v1/models" 2>/dev/null |
    tr '{,' '\n\n' | sed -n 's/^[[:space:]]*"id" *: *"\([^"]*\)".*/\1/p' | head -n 1)
fi
[ -n "$model" ] || finish unhealthy 0 "the server names no model at $base/v1/models; set PROBE_MODEL"

body=$(printf '{"model":"%s","max_tokens":16,"temperature":0,"messages":[{"role":"user","content":"%s"}]}' \
  "$(json_text "$model")" "$(json_text "${PROBE_PROMPT:-Say: ok}")")

answer=$(ask --header 'content-type: application/json' --data-binary "$body" \
  --write-out '\n%{http_code} %{time_total}' "$url" 2>&1)
code=$?
last=$(printf '%s\n' "$answer" | tail -n 1)
status=${last%% *}
latency_ms=$(printf '%s\n' "${last##* }" | awk '{ printf "%d", $1 * 1000 + 0.5 }')

[ $code -eq 0 ] || finish unhealthy "$latency_ms" "no answer: curl ended with code $code"
[ "$status" = 200 ] || finish unhealthy "$latency_ms" "the server answered with status $status"

text=$(printf '%s\n' "$answer" | sed '$d' | tr -d '\n' |
  sed -n 's/.*"content" *: *"\(\([^"\\]\|\\.\)*\)".*/\1/p')
[ -n "$text" ] || finish unhealthy "$latency_ms" "the answer holds no text"
if [ -n "${PROBE_EXPECT:-}" ]; then
  case $text in
    *"$PROBE_EXPECT"*) ;;
    *) finish unhealthy "$latency_ms" "the answer is not the expected one" ;;
  esac
fi
[ "$latency_ms" -le "$expected_ms" ] ||
  finish degraded "$latency_ms" "the answer took longer than $expected_ms ms"
finish healthy "$latency_ms" ""
