// Exchanges JSON-RPC messages with the host over postMessage (MCP Apps specification of 2026-01-26). That
// specification's SDK is five times as large as the whole view without its charts.

const PROTOCOL_VERSION = '2026-01-26';

/**
 * Open the session with the host, and pass its notifications to the listeners.
 * @param {Record<string, (params: any) => void>} listeners functions by the method of a notification
 */
export function connect(listeners) {
  const waiting = new Map();
  let lastId = 0;

  const post = (message) => window.parent.postMessage({ jsonrpc: '2.0', ...message }, '*');
  const notify = (method, params = {}) => post({ method, params });
  const request = (method, params) =>
    new Promise((resolve, reject) => {
      lastId += 1;
      waiting.set(lastId, { resolve, reject });
      post({ id: lastId, method, params });
    });

  window.addEventListener('message', ({ source, data }) => {
    if (source !== window.parent || data?.jsonrpc !== '2.0') return;
    if (data.method === undefined) settle(data);
    else if (data.id !== undefined) answer(data);
    else if (Object.hasOwn(listeners, data.method)) listeners[data.method](data.params ?? {});
  });

  function settle({ id, result, error }) {
    const { resolve, reject } = waiting.get(id) ?? {};
    waiting.delete(id);
    if (error) reject?.(new Error(error.message));
    else resolve?.(result);
  }

  function answer({ id, method }) {
    const isKnown = method === 'ping' || method === 'ui/resource-teardown';
    post(isKnown ? { id, result: {} } : { id, error: { code: -32601, message: `unknown method: ${method}` } });
  }

  async function greet() {
    const greeting = await request('ui/initialize', {
      appInfo: { name: 'pgmcp result view', version: '1' },
      appCapabilities: { availableDisplayModes: ['inline', 'fullscreen'] },
      protocolVersion: PROTOCOL_VERSION,
    });
    return { capabilities: greeting.hostCapabilities ?? {}, context: greeting.hostContext ?? {} };
  }

  return { greet, notify, request };
}
