// Finds out which etcd member opened a peer connection, from the headers of its requests. etcd's rafthttp says
// `X-PeerURLs` on streams and pipelines (server/etcdserver/api/rafthttp: setPeerURLsHeader); probes say nothing, and
// share their connections with pipelines, so looking goes on until a request tells or has a body.

/** More than any header block of etcd; a connection that exceeds it stays unidentified. */
export const headerBytesMax = 16 * 1024;

export type Sighting = {
  /** Bytes that may go on to the target now. */
  readonly forward: Buffer;
  /** Ports of the peer addresses that the sender says are its own. */
  readonly ports: readonly number[];
  /** true: there is nothing more to learn; pass on everything from now on. */
  readonly settled: boolean;
};

export type PeerSource = { readonly read: (bytes: Buffer) => Sighting };

/** Reads the client's side of one connection from its first byte on. */
export function openPeerSource(): PeerSource {
  let pending: Buffer = Buffer.alloc(0);

  return {
    read: (bytes) => {
      pending = pending.length === 0 ? bytes : Buffer.concat([pending, bytes]);
      const whole: Buffer[] = [];
      for (;;) {
        const end = pending.indexOf("\r\n\r\n");
        if (end < 0) break;
        const head = pending.subarray(0, end + 4);
        const ports = peerPorts(head.toString("latin1"));
        if (ports.length > 0 || hasBody(head)) {
          return settle(ports);
        }
        whole.push(head);
        pending = pending.subarray(head.length);
      }
      if (pending.length > headerBytesMax) return settle([]);
      return { forward: Buffer.concat(whole), ports: [], settled: false };

      function settle(ports: readonly number[]): Sighting {
        const forward = Buffer.concat([...whole, pending]);
        pending = Buffer.alloc(0);
        return { forward, ports, settled: true };
      }
    },
  };
}

function peerPorts(head: string): readonly number[] {
  const line = /^x-peerurls:(.*)$/im.exec(head)?.[1] ?? "";
  return [...line.matchAll(/:(\d{1,5})(?=[/,\s]|$)/g)].map((each) => Number(each[1]));
}

function hasBody(head: Buffer): boolean {
  return /^(content-length:\s*[1-9]|transfer-encoding:)/im.test(head.toString("latin1"));
}
