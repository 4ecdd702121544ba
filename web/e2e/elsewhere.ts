/** A page of another site, for what is framed there. */

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export class Elsewhere {
  private constructor(
    private readonly server: Server,
    readonly origin: string,
  ) {}

  /** Serves pages whose frame shows what the query says. */
  static async start(): Promise<Elsewhere> {
    const server = createServer((request, response) => {
      const framed = new URL(request.url ?? '/', 'http://x').searchParams.get('frame') ?? '';
      response.setHeader('content-type', 'text/html');
      response.end(`<!doctype html><title>Elsewhere</title><iframe src="${framed}" width="640" height="360"></iframe>`);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Elsewhere(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  }

  /** The address of a page that frames `address`. */
  framing(address: string): string {
    return `${this.origin}/?frame=${encodeURIComponent(address)}`;
  }

  stop(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}
