/** The site with made-up streams (`crates/site/examples/preview.rs`), for tests of pages. */

import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export type Scene = 'empty' | 'one' | 'full' | 'long' | 'broken';

export class Preview {
  private constructor(
    readonly origin: string,
    private readonly child: ChildProcess,
  ) {}

  /** Starts it; `PREVIEW_BIN` names a binary that has been built already. */
  static async start(): Promise<Preview> {
    const port = 20_000 + Math.floor(Math.random() * 20_000);
    const binary = process.env.PREVIEW_BIN;
    const [command, ...args] = binary
      ? [binary]
      : ['cargo', 'run', '--quiet', '--package', 'millrace-site', '--example', 'preview'];
    const child = spawn(command ?? '', args, {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      env: { ...process.env, RUST_BACKTRACE: '0', PREVIEW_LISTEN: `127.0.0.1:${port}` },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const preview = new Preview(`http://127.0.0.1:${port}`, child);
    while (!(await preview.answers())) {
      if (child.exitCode !== null) throw new Error(`the preview ended with ${child.exitCode}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return preview;
  }

  /** Chooses what is on air. */
  async show(scene: Scene): Promise<void> {
    await fetch(`${this.origin}/_preview/${scene}`, { method: 'POST' });
  }

  stop(): void {
    this.child.kill();
  }

  private async answers(): Promise<boolean> {
    return fetch(`${this.origin}/api/v1/site`).then(
      (response) => response.ok,
      () => false,
    );
  }
}
