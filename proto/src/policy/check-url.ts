// URLs and addresses in a policy: only what a proxy can and should connect to.

import { parseAddress } from "../base/index.ts";
import { type Findings, quote } from "./findings.ts";
import { type HostFault, refuseHost } from "./ip-address.ts";

type Spot = { readonly path: string; readonly findings: Findings };

const form = /^(https?):\/\/(\[[0-9a-f:.]+\]|[^/?#@:[\]\\\s]+)(?::(\d{1,5}))?(\/[^?#\\\s]*)?$/i;

/** http or https, a host, maybe a port, and no path but "/". The URL is quoted in messages only when it has no login. */
export function checkUrl(url: string, { path, findings }: Spot): void {
  if (/^[^/]*\/\/[^/?#]*@/.test(url)) {
    const hint = "keep secrets out of the policy; give the backend its key where the proxy runs";
    findings.refuse("credentials_in_url", path, "the URL holds a login", hint);
    return;
  }
  const [, , host, port, rest] = form.exec(url) ?? [];
  if (host === undefined) {
    const hint = "write http://host:port or https://host";
    findings.refuse("bad_url", path, `${quote(url)} is no http or https URL`, hint);
    return;
  }
  checkHost(host.replace(/^\[|\]$/g, ""), { path, findings });
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)) {
    findings.refuse("bad_url", path, `${port} is no port`, "ports are from 1 to 65535");
  }
  if (rest !== undefined && rest !== "/") {
    const hint = "write only scheme, host and port; the request's own path is added";
    findings.refuse("bad_url", path, `${quote(url)} has a path`, hint);
  }
}

/** Of a URL the path alone: from the first / on, without a query. */
export function isPath(text: string): boolean {
  return /^\/[^\s?#]*$/.test(text);
}

/** host:port */
export function checkPeer(peer: string, { path, findings }: Spot): void {
  const address = parseAddress(peer);
  if (address === undefined || address.port === 0) {
    const hint = "write host:port, for instance proxy.eu.internal:8443";
    findings.refuse("bad_address", path, `${quote(peer)} is no host:port`, hint);
    return;
  }
  checkHost(address.host, { path, findings });
}

function checkHost(host: string, { path, findings }: Spot): void {
  const fault = refuseHost(host);
  if (fault === undefined) return;
  const { code, message, hint } = faults[fault];
  findings.refuse(code, path, `${quote(host)} ${message}`, hint);
}

const faults: {
  readonly [F in HostFault]: {
    readonly code: string;
    readonly message: string;
    readonly hint: string;
  };
} = {
  malformed: {
    code: "bad_url",
    message: "is neither a host's name nor an address",
    hint: "write a DNS name, an IPv4 address, or an IPv6 address in [ ]",
  },
  numeric: {
    code: "bad_url",
    message: "is a number that resolvers take for an address",
    hint: "write IPv4 addresses as four decimal numbers",
  },
  unspecified: {
    code: "bad_url",
    message: "means no host",
    hint: "write 127.0.0.1 or [::1] for the proxy's own machine",
  },
  multicast: {
    code: "bad_url",
    message: "is a multicast or reserved address",
    hint: "name one host",
  },
  "link-local": {
    code: "forbidden_host",
    message: "is link-local, where clouds keep their metadata service",
    hint: "name the host by its own address",
  },
  metadata: {
    code: "forbidden_host",
    message: "is a cloud's metadata service",
    hint: "name a model server",
  },
};
