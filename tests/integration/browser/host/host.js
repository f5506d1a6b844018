// A host of MCP Apps as small as can be: the SDK's bridge on one side, the sandbox proxy on the other.

import { AppBridge, PostMessageTransport } from '@modelcontextprotocol/ext-apps/app-bridge';

const PROXY_READY = 'ui/notifications/sandbox-proxy-ready';

let bridge;
window.sizes = [];
window.downloads = [];

window.openView = async ({ sandboxUrl, html, permissions, capabilities, context }) => {
  const iframe = document.createElement('iframe');
  iframe.setAttribute('sandbox', 'allow-scripts allow-same-origin allow-forms');
  if (permissions.clipboardWrite) iframe.setAttribute('allow', 'clipboard-write *');
  const ready = new Promise((resolve) => {
    window.addEventListener('message', ({ source, data }) => {
      if (source === iframe.contentWindow && data?.method === PROXY_READY) resolve();
    });
  });
  iframe.src = sandboxUrl;
  document.body.append(iframe);
  await ready;

  bridge = new AppBridge(null, { name: 'test host', version: '1' }, capabilities, { hostContext: context });
  const initialized = new Promise((resolve) => bridge.addEventListener('initialized', resolve));
  bridge.addEventListener('sizechange', ({ height }) => {
    window.sizes.push(height);
    iframe.style.height = `${height}px`;
  });
  bridge.ondownloadfile = async ({ contents }) => {
    window.downloads.push(...contents);
    return {};
  };
  bridge.onrequestdisplaymode = async ({ mode }) => {
    bridge.setHostContext({ ...context, displayMode: mode });
    return { mode };
  };
  await bridge.connect(new PostMessageTransport(iframe.contentWindow, iframe.contentWindow));
  await bridge.sendSandboxResourceReady({ html, permissions });
  await initialized;
};

window.sendInput = (input) => bridge.sendToolInput({ arguments: input });
window.sendResult = (result) => bridge.sendToolResult(result);
window.cancel = () => bridge.sendToolCancelled({ reason: 'user action' });
window.setContext = (context) => bridge.setHostContext(context);
window.teardown = () => bridge.teardownResource({});
