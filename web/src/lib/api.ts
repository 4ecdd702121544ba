/** The part of the JSON API that the islands use; `docs/openapi.json` describes all of it. */

export interface LiveStream {
  app: string;
  name: string;
  state: 'live' | 'reconnecting';
  started_at: string;
  viewers: number;
  title: string | null;
  category: string | null;
  language: string | null;
  avatar_url: string | null;
  video: { codec: string; width: number | null; height: number | null; frame_rate: number | null } | null;
  audio: { codec: string; sample_rate: number; channels: number } | null;
  urls: { page: string; thumbnail: string; flv: string; hls: string };
}

/** What its publisher wants to know of a stream beside that. */
export interface LiveHealth extends LiveStream {
  video: (NonNullable<LiveStream['video']> & { kbit_s: number }) | null;
  audio: (NonNullable<LiveStream['audio']> & { kbit_s: number }) | null;
  /** Seconds between keyframes. */
  gop_seconds: number | null;
  damaged_frames: number;
}

/** One stream, or `null` where it is not on air. With a token to watch with, its addresses hold that as well. */
export async function findLive(app: string, name: string, token?: string): Promise<LiveHealth | null> {
  const query = token === undefined ? '' : `?token=${encodeURIComponent(token)}`;
  const response = await get(`/api/v1/live/${encodeURIComponent(app)}/${encodeURIComponent(name)}${query}`);
  if (response.status === 404) return null;
  if (!response.ok) throw new Error(`the stream's state answered ${response.status}`);
  return (await response.json()) as LiveHealth;
}

function get(path: string): Promise<Response> {
  return fetch(path, {
    headers: { accept: 'application/json' },
    cache: 'no-store',
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
  });
}

const REQUEST_TIMEOUT_MS = 8_000;
