import { describe, expect, it } from 'vitest';
import { Restarts } from './restarts.ts';

describe('the supervisor', () => {
  it('starts the next agent at once, and waits longer the more of them die early, until it gives up', () => {
    const restarts = new Restarts();
    const pauses = Array.from({ length: 11 }, () => restarts.afterDeath(0));
    expect(pauses).toEqual([0, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, undefined]);
  });

  it('never gives up one that serves for a while, however often it dies', () => {
    const restarts = new Restarts();
    for (let i = 0; i < 9; i++) restarts.afterDeath(0);
    expect(restarts.afterDeath(5000)).toBe(0);
    expect(Array.from({ length: 100 }, () => restarts.afterDeath(2000)).every((pause) => pause === 0)).toBe(true);
  });
});
