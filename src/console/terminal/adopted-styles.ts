/**
 * xterm.js makes `<style>` elements as it opens, which a Content-Security-Policy without inline styles refuses. Their text goes into
 * constructed style sheets of the page instead, which the policy allows to trusted scripts.
 */

/** Runs `open` at once, and turns each `<style>` that it makes into a style sheet. Returns the function that removes them. */
export function withAdoptedStyles(page: Document, open: () => void): () => void {
  const sheets: CSSStyleSheet[] = [];
  const styleElement = (): HTMLElement => {
    const sheet = new CSSStyleSheet();
    sheets.push(sheet);
    page.adoptedStyleSheets.push(sheet);
    const element = Document.prototype.createElement.call(page, 'span');
    element.hidden = true;
    Object.defineProperty(element, 'textContent', { set: (text: string) => sheet.replaceSync(text) });
    return element;
  };
  const createElement = (tag: string): HTMLElement =>
    tag === 'style' ? styleElement() : Document.prototype.createElement.call(page, tag);
  Object.defineProperty(page, 'createElement', { value: createElement, configurable: true });
  try {
    open();
  } finally {
    Reflect.deleteProperty(page, 'createElement');
  }
  return () => {
    page.adoptedStyleSheets = page.adoptedStyleSheets.filter((sheet) => !sheets.includes(sheet));
  };
}
