// A small HTTP door for trying things out: kill a part or a whole region's backends, start them again.
//
//   GET /            every program with its process id
//   POST /kill/NAME  NAME is a program, or a region: all its backends
//   POST /start/NAME

import { createServer, type Server, type ServerResponse } from "node:http";
import type { Cluster, Program } from "@meridian/harness";

export function openSwitches(cluster: Cluster, port: number, changed: () => void): Server {
  const server = createServer((request, response) => {
    const [action, name] = (request.url ?? "/").split("/").slice(1).map(decodeURIComponent);
    if (request.method !== "POST" || name === undefined) {
      answer(response, 200, programPids(cluster));
      return;
    }
    const chosen = choose(cluster, name);
    if (chosen.length === 0 || (action !== "kill" && action !== "start")) {
      const names = [...cluster.regions, ...cluster.programs()].map((each) => each.name);
      answer(response, 404, { error: "POST /kill/NAME or /start/NAME", names });
      return;
    }
    const done = Promise.all(
      chosen.map((each) => (action === "kill" ? each.kill() : each.start())),
    );
    done.then(
      () => {
        changed();
        answer(response, 200, Object.fromEntries(chosen.map((each) => [each.name, state(each)])));
      },
      (cause: unknown) => answer(response, 500, { error: String(cause) }),
    );
  });
  return server.listen(port, "127.0.0.1");
}

/** Process ids: of the programs by region, and of the parts that belong to none. */
export function programPids(cluster: Cluster) {
  const pids = (programs: readonly Program[]) =>
    Object.fromEntries(programs.map((each) => [each.name, each.pid ?? null]));
  return {
    main: process.pid,
    controlPlanes: pids(cluster.controlPlanes),
    regions: Object.fromEntries(
      cluster.regions.map((region) => [
        region.name,
        { proxies: pids(region.proxies), backends: pids(region.backends) },
      ]),
    ),
  };
}

function choose(cluster: Cluster, name: string): readonly Program[] {
  const region = cluster.regions.find((each) => each.name === name);
  return region?.backends ?? cluster.programs().filter((each) => each.name === name);
}

function state(program: Program): string {
  return program.pid === undefined ? "does not run" : `runs as process ${program.pid}`;
}

function answer(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(`${JSON.stringify(value, undefined, 2)}\n`);
}
