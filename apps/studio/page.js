// Keys and the clipboard. Ctrl+Enter runs the open tab, Esc stops it (never while a field is being typed in),
// and a picture that is pasted anywhere outside a field is opened in the Edit tab.
(() => {
  const seen = (selector) => [...document.querySelectorAll(selector)].find((each) => each.offsetParent !== null);
  const typing = (target) => target.closest('input:not([type=range]):not([type=checkbox]), textarea, select, [contenteditable=true]');

  document.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      const run = seen('.ge-run');
      if (run) {
        event.preventDefault();
        // A text field tells its value on blur at the latest.
        document.activeElement?.dispatchEvent(new Event('input', {bubbles: true}));
        setTimeout(() => run.click(), 50);
      }
    } else if (event.key === 'Escape' && !typing(event.target)) {
      seen('.ge-stop')?.click();
    }
  });

  // After a stroke, or a press on one of the canvas' own tools, the server says what is selected.
  let soon;
  document.addEventListener('pointerup', (event) => {
    if (!event.target.closest?.('#edit-canvas')) return;
    clearTimeout(soon);
    soon = setTimeout(() => document.querySelector('#edit-look')?.click(), 250);
  }, true);

  document.addEventListener('paste', (event) => {
    const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith('image/'));
    const input = document.querySelector('#edit-drop input[type=file]');
    if (!files.length || !input || typing(event.target)) return;
    event.preventDefault();
    const data = new DataTransfer();
    data.items.add(files[0]);
    input.files = data.files;
    input.dispatchEvent(new Event('change', {bubbles: true}));
  });
})();
