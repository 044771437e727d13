// Runs before the first paint, so that a page does not flash in the other theme. The setting is written by shell/theme.ts.
const theme = localStorage.getItem('execplane-theme');
if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
