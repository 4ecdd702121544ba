/** The numbers of the administrators' dashboard, with the last hour of each as a small chart. */

import { t } from '../lib/messages';
import { compact } from '../lib/numbers';
import { duration } from '../lib/time';
import { draw, KEPT } from './chart';
import { whileVisible } from './poll';

interface Sample {
  at: string;
  on_air: number;
  viewers: number;
  received_kbit_s: number;
  sent_kbit_s: number;
  cpu_percent: number;
  memory_bytes: number;
}

interface Overview {
  on_air: number;
  viewers: number;
  uptime_seconds: number;
  memory_bytes: number | null;
  samples: Sample[];
}

type Field = Exclude<keyof Sample, 'at'>;

export function watchDashboard(): void {
  const charts = [...document.querySelectorAll<HTMLElement>('[data-dashboard] [data-chart]')];
  if (charts.length === 0) return;
  let samples: Sample[] = [];
  const refresh = async (): Promise<void> => {
    const last = samples.at(-1);
    const query = last ? `?after=${encodeURIComponent(last.at)}` : '';
    const response = await fetch(`/api/v1/admin/overview${query}`, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const overview = (await response.json()) as Overview;
    samples = [...samples, ...overview.samples].slice(-KEPT);
    for (const chart of charts) show(chart, overview, samples);
    const uptime = document.querySelector('[data-uptime-seconds]');
    if (uptime) uptime.textContent = duration(overview.uptime_seconds, t);
  };
  whileVisible(REFRESH_MS, refresh, 0);
}

function show(chart: HTMLElement, overview: Overview, samples: Sample[]): void {
  const field = chart.dataset.chart as Field;
  const kind = chart.dataset.kind ?? '';
  const current = field === 'viewers' || field === 'on_air' || field === 'memory_bytes' ? overview[field] : null;
  const now = current ?? samples.at(-1)?.[field] ?? 0;
  const number = chart.querySelector('[data-now]');
  if (number) number.textContent = write(now, kind);
  const picture = chart.querySelector('[data-picture]');
  const values = samples.map((sample) => sample[field]);
  const most = Math.max(0, ...values);
  picture?.replaceChildren(draw(values, most, KEPT, t('chart_most', { value: write(most, kind) })));
}

function write(value: number, kind: string): string {
  switch (kind) {
    case 'rate':
      return scaled(value, 1000, ['unit_kbit', 'unit_mbit', 'unit_gbit']);
    case 'bytes':
      return scaled(value / 1024, 1024, ['unit_kib', 'unit_mib', 'unit_gib', 'unit_tib']);
    case 'percent':
      return `${value} %`;
    default:
      return compact(value);
  }
}

/** `value` in the largest of `units` of which there is a whole one, with a tenth where it has one digit before it. */
function scaled(value: number, step: number, units: string[]): string {
  let unit = 0;
  while (value >= step && unit + 1 < units.length) {
    value /= step;
    unit += 1;
  }
  return t(units[unit] ?? '', { n: value < 10 ? Math.floor(value * 10) / 10 : Math.floor(value) });
}

const REFRESH_MS = 10_000;
const REQUEST_TIMEOUT_MS = 10_000;
