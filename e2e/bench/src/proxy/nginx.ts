// nginx as a reverse proxy: what a server in C needs for the same requests.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureProgram, freePorts } from "@meridian/harness";
import { answersInTime } from "./answers.ts";
import { requestPath, type Subject } from "./subject.ts";

/** The file of nginx, installed from Debian where it is missing and can be; undefined: it is absent. */
export async function findNginx(): Promise<string | undefined> {
  try {
    return await ensureProgram({ program: "nginx", package: "nginx-light" }, console.error);
  } catch (cause) {
    // The bench goes on without it, and says so.
    console.error(cause instanceof Error ? cause.message : String(cause));
    return undefined;
  }
}

export async function startNginx(
  program: string,
  upstreamPorts: readonly number[],
): Promise<Subject> {
  const [port = 0] = await freePorts(1);
  const folder = mkdtempSync(join(tmpdir(), "meridian-nginx-"));
  const file = join(folder, "nginx.conf");
  writeFileSync(file, configuration(folder, port, upstreamPorts));
  const child = spawn(program, ["-p", folder, "-c", file], { stdio: "ignore" });
  const end = () => child.kill("SIGTERM");
  process.once("exit", end);
  await answersInTime(`http://127.0.0.1:${port}/health`);
  return {
    name: "nginx",
    pid: child.pid ?? 0,
    target: { port, path: requestPath, headers: {}, check: "exact" },
    stop: async () => {
      const gone = new Promise((resolve) => child.once("exit", resolve));
      process.off("exit", end);
      end();
      await gone;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** One worker, connections kept, tokens passed on as they come, large bodies held in memory: as one would run it here. */
function configuration(folder: string, port: number, upstreamPorts: readonly number[]): string {
  const servers = upstreamPorts.map((each) => `server 127.0.0.1:${each};`).join(" ");
  return `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { worker_connections 8192; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  client_body_buffer_size 256k;
  client_max_body_size 32m;
  keepalive_requests 100000000;
  tcp_nodelay on;
  upstream models { ${servers} keepalive 256; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://models;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }
  }
}
`;
}
