/** How loud the sound is, where the browser can tell without touching what is heard. */

/** A copy of what an element plays; Firefox and Safari have none that leaves the sound as it is. */
type Copying = HTMLMediaElement & { captureStream?: () => MediaStream };

/** Listens along to a media element. Made only while it is heard: before a press browsers allow no audio context. */
export class SoundMeter {
  readonly #context = new AudioContext();
  readonly #analyser = this.#context.createAnalyser();
  readonly #levels: Uint8Array<ArrayBuffer>;

  private constructor(copy: MediaStream) {
    this.#analyser.fftSize = 2048;
    this.#analyser.smoothingTimeConstant = 0.85;
    this.#levels = new Uint8Array(this.#analyser.frequencyBinCount);
    this.#context.createMediaStreamSource(copy).connect(this.#analyser);
  }

  /** `undefined` where this browser cannot listen along, or there is no sound yet. */
  static of(video: HTMLMediaElement): SoundMeter | undefined {
    const copy = (video as Copying).captureStream?.();
    return copy && copy.getAudioTracks().length > 0 ? new SoundMeter(copy) : undefined;
  }

  /** The loudness of `count` bands from low to high, each from 0 to 1. */
  bands(count: number): number[] {
    this.#analyser.getByteFrequencyData(this.#levels);
    const width = this.#context.sampleRate / this.#analyser.fftSize;
    const edge = (band: number): number => Math.round((LOWEST_HZ * (HIGHEST_HZ / LOWEST_HZ) ** (band / count)) / width);
    return Array.from({ length: count }, (_, band) => {
      const bins = this.#levels.subarray(edge(band), Math.max(edge(band + 1), edge(band) + 1));
      return Math.max(...bins) / 255;
    });
  }

  close(): void {
    void this.#context.close();
  }
}

const LOWEST_HZ = 60;
const HIGHEST_HZ = 12_000;
