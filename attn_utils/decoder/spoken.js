// Characters and dates in words.
const NAMES = { " ": "a blank", "-": "a dash", ",": "a comma", ".": "a dot", "/": "a slash" };
export const spoken = (character) => NAMES[character] ?? `“${character}”`;

// A day that no calendar has, such as 2019-02-30.
export const isImpossible = (iso) => {
  const parts = /^(\d{4})-(\d\d)-(\d\d)$/.exec(iso);
  if (!parts) return false;
  const [y, m, d] = parts.slice(1).map(Number);
  return m < 1 || m > 12 || d < 1 || d > new Date(Date.UTC(y, m, 0)).getUTCDate();
};
