// Reads a live page again while it is visible, if something happened since.

const POLL_MILLISECONDS = 3000;
const IDLE_MILLISECONDS = 60000; // After so long it is read again though nothing happened: times pass.
const SHARE = 0.2; // The share of the time that reading again may take.

// `page` has three functions: whether it is live and not in use, whether nothing was recorded since it was read,
// and what reads it again.
export function refreshing(page) {
  let [refreshed, pause] = [0, POLL_MILLISECONDS];

  async function refresh() {
    const since = performance.now() - refreshed;
    if (document.hidden || !page.isReady() || since < pause) return;
    if (since < IDLE_MILLISECONDS && (await page.isUnchanged())) return;
    if (!page.isReady()) return; // It was used meanwhile.
    const began = performance.now();
    await page.refresh();
    refreshed = performance.now();
    pause = Math.max(POLL_MILLISECONDS, (refreshed - began) / SHARE);
  }

  async function poll() {
    await refresh().finally(() => setTimeout(poll, POLL_MILLISECONDS));
  }

  setTimeout(poll, POLL_MILLISECONDS);
}
