import { describe, expect, test } from 'vitest';

import { Chaser, MAX_SPEED_UP, type Situation } from '../src/player/chase';

const PROFILE = { target: 1, slack: 0.5, jump: 5 };
const calm: Situation = { now: 0, behind: 1, ahead: 1, unnoticed: false };

describe('Chaser', () => {
  test('leaves a picture near live alone', () => {
    const chaser = new Chaser(PROFILE);
    expect(chaser.correct({ ...calm, behind: 1.4 })).toEqual({ rate: 1 });
  });

  test('aims for what the way of delivery asks for', () => {
    const chaser = new Chaser(PROFILE);
    chaser.aim(0.6);
    expect(chaser.correct({ ...calm, behind: 1.2, ahead: 1.2 }).rate).toBeGreaterThan(1);
    chaser.stalled(0);
    expect(chaser.target).toBeCloseTo(1.1);
    chaser.aim(0.6);
    expect(chaser.target, 'what a stall asked for stays').toBeCloseTo(1.1);
  });

  test('plays a little faster when late, until it is close', () => {
    const chaser = new Chaser(PROFILE);
    expect(chaser.correct({ ...calm, behind: 2.5, ahead: 2.5 }).rate).toBeCloseTo(1.1);
    expect(chaser.correct({ ...calm, behind: 1.3, ahead: 1.3 }).rate).toBeGreaterThan(1);
    expect(chaser.correct({ ...calm, behind: 1.05, ahead: 1.05 }).rate).toBe(1);
    expect(chaser.correct({ ...calm, behind: 1.4, ahead: 1.4 }).rate).toBe(1);
  });

  test('never plays faster than anyone would hear', () => {
    const chaser = new Chaser(PROFILE);
    for (let behind = 0; behind < 60; behind += 0.25) {
      const { rate } = chaser.correct({ ...calm, behind, ahead: behind });
      expect(rate).toBeGreaterThanOrEqual(1);
      expect(rate).toBeLessThanOrEqual(1 + MAX_SPEED_UP);
    }
  });

  test('reaches the target from two seconds late within half a minute', () => {
    const chaser = new Chaser(PROFILE);
    let behind = 3;
    let now = 0;
    for (; now < 30 && behind > 1.15; now += 0.25) {
      behind -= (chaser.correct({ now, behind, ahead: behind, unnoticed: false }).rate - 1) * 0.25;
    }
    expect(behind).toBeLessThanOrEqual(1.15);
    expect(now).toBeLessThan(30);
  });

  test('jumps when far behind, and sooner after a stay in the background', () => {
    const chaser = new Chaser(PROFILE);
    expect(chaser.correct({ ...calm, behind: 6.5, ahead: 6.5 })).toEqual({ rate: 1, jumpTo: 1 });
    expect(chaser.correct({ ...calm, behind: 3, ahead: 3 }).jumpTo).toBeUndefined();
    expect(chaser.correct({ ...calm, behind: 3, ahead: 3, unnoticed: true }).jumpTo).toBe(1);
  });

  test('neither speeds up nor jumps into what has not arrived', () => {
    const chaser = new Chaser(PROFILE);
    expect(chaser.correct({ ...calm, behind: 8, ahead: 0.2 })).toEqual({ rate: 1 });
  });

  test('keeps more in reserve after stalls, bounded, and gives it back', () => {
    const chaser = new Chaser(PROFILE);
    chaser.stalled(0);
    expect(chaser.target).toBe(1.5);
    for (let i = 0; i < 20; i += 1) chaser.stalled(0);
    expect(chaser.target).toBe(4);
    for (let now = 45; now <= 45 * 6; now += 45) chaser.correct({ ...calm, now });
    expect(chaser.target).toBe(1);
  });
});
