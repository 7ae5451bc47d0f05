// The few questions that the harness itself asks etcd, over its JSON gateway (etcd 3.4+: /v3/…, /health).

const requestTimeoutMs = 5_000;
const transferTimeoutMs = 30_000;

/** true when the member serves linearizable reads, that is, sees a leader and a quorum. */
export async function isHealthy(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/health`, {
      signal: AbortSignal.timeout(requestTimeoutMs),
    });
    // etcd's documented answer: {"health":"true"}.
    const body = (await response.json()) as { readonly health?: unknown };
    return body.health === "true";
  } catch {
    return false;
  }
}

/** Makes the member at `target` the leader, and waits until it is. `urls` are running members. */
export async function transferLeadership(options: {
  readonly urls: readonly string[];
  readonly target: string;
}): Promise<void> {
  const deadlineMs = performance.now() + transferTimeoutMs;
  for (;;) {
    try {
      const { memberId: targetId, leaderId } = await status(options.target);
      if (targetId === leaderId) return;
      await askLeader(options.urls, targetId);
    } catch (cause) {
      // During an election nobody leads, or the one that does refuses: both pass.
      if (performance.now() > deadlineMs) {
        throw new Error(`${options.target} did not become etcd's leader`, { cause });
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function askLeader(urls: readonly string[], targetId: string): Promise<void> {
  for (const url of urls) {
    const { memberId, leaderId } = await status(url);
    if (memberId !== leaderId) continue;
    await post(url, "/v3/maintenance/transfer-leadership", { targetID: targetId });
    return;
  }
  throw new Error("no running etcd member leads");
}

async function status(
  url: string,
): Promise<{ readonly memberId: string; readonly leaderId: string }> {
  // etcd's StatusResponse in ProtoJSON: 64-bit numbers are text.
  const body = (await post(url, "/v3/maintenance/status", {})) as {
    readonly header: { readonly member_id: string };
    readonly leader: string;
  };
  return { memberId: body.header.member_id, leaderId: body.leader };
}

async function post(url: string, path: string, body: unknown): Promise<unknown> {
  const response = await fetch(`${url}${path}`, {
    method: "POST",
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(requestTimeoutMs),
  });
  if (!response.ok)
    throw new Error(`etcd answered ${path} with ${response.status}: ${await response.text()}`);
  return response.json();
}
