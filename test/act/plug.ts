/** A smart plug per node, without a network: what it is asked, and what it answers. */
import { MockAgent } from 'undici';
import type { FenceConfig } from '../../lib/inventory/types.ts';
import type { ActBench } from './bench.ts';

export class Plug {
  power: 'on' | 'off' = 'on';
  /** What happens when it is told to switch off. */
  onOff: () => void = () => (this.power = 'off');
  readonly orders: string[] = [];
  /** It does what it is told, and says 500. */
  confused = false;

  constructor(bench: ActBench) {
    const agent = new MockAgent();
    agent.disableNetConnect();
    const pool = agent.get('http://plug.test');
    pool
      .intercept({ path: '/status', method: 'GET' })
      .reply(200, () => ({ power: this.power }))
      .persist();
    pool
      .intercept({ path: '/off', method: 'POST' })
      .reply(() => {
        this.orders.push('off');
        this.onOff();
        return { statusCode: this.confused ? 500 : 200, data: {} };
      })
      .persist();
    bench.plugs = agent;
  }
}

export const PLUG_CONFIG: FenceConfig = {
  driver: 'http',
  off: { url: 'http://plug.test/off', method: 'POST' },
  status: { url: 'http://plug.test/status', method: 'GET', field: 'power', off: 'off' },
  user: 'admin',
  password: { kind: 'env', name: 'PLUG_PASSWORD' },
  timeoutMs: 1000,
};
