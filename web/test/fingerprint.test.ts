import { expect, test } from 'vitest';

import { fingerprint } from '../src/site/fingerprint';

const EDGE = 64 * 1024;

/** A file of `size` bytes, of which those at `marks` are others. */
function file(size: number, marks: readonly number[] = [], name = 'clip.mp4', lastModified = 5): File {
  const bytes = new Uint8Array(size).map((_, at) => at % 251);
  for (const at of marks) bytes[at] = 255;
  return new File([bytes], name, { lastModified });
}

test('a file is known again, and no other is taken for it', async () => {
  const size = 3 * EDGE;
  const one = await fingerprint(file(size));
  expect(await fingerprint(file(size))).toBe(one);
  const others = [
    file(size, [0]),
    file(size, [EDGE - 1]),
    file(size, [size - EDGE]),
    file(size, [size - 1]),
    file(size, [0, size - 1]),
    file(size + 1),
    file(size, [], 'clip2.mp4'),
    file(size, [], 'clip.mp4', 6), // changed in its middle
  ];
  const all = new Set([one, ...(await Promise.all(others.map(fingerprint)))]);
  expect(all.size).toBe(others.length + 1);
});

test('small and empty files have theirs', async () => {
  const sizes = [0, 1, EDGE, EDGE + 1];
  const all = await Promise.all([...sizes.map((size) => file(size)), file(EDGE + 1, [EDGE])].map(fingerprint));
  expect(new Set(all).size).toBe(sizes.length + 1);
  for (const mark of all) expect(mark).toMatch(/^\d+-\d+-[0-9a-f]{16}$/);
});

test('what cannot be read has none', async () => {
  const gone = file(5);
  gone.slice = () => ({ arrayBuffer: () => Promise.reject(new Error('NotFoundError')) }) as unknown as Blob;
  await expect(fingerprint(gone)).rejects.toThrow();
});
