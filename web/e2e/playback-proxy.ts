/** A network in the way: a proxy that knows no WebSockets, and may treat FLV over HTTP as badly. */

import { createServer, request, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** FLV is passed on, answered 403, or held back without end, as by proxies that wait for the whole of a file. */
export type FlvPolicy = 'passed' | 'refused' | 'held';

export class Proxy {
  private constructor(private readonly server: HttpServer) {}

  static async start(target: string, flv: FlvPolicy): Promise<Proxy> {
    const { hostname, port } = new URL(target);
    const server = createServer((incoming, response) => {
      const path = incoming.url ?? '/';
      if (flv !== 'passed' && path.split('?')[0]?.endsWith('.flv')) {
        if (flv === 'refused') response.writeHead(403).end();
        return;
      }
      const outgoing = request({ hostname, port, path, method: incoming.method, headers: incoming.headers });
      outgoing.on('response', (from) => {
        response.writeHead(from.statusCode ?? 502, from.headers);
        from.pipe(response);
      });
      outgoing.on('error', () => response.destroy());
      response.on('close', () => outgoing.destroy());
      incoming.pipe(outgoing);
    });
    server.on('upgrade', (_, socket) => socket.end('HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\n\r\n'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Proxy(server);
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}
