// From symbols of SMILES to atoms and bonds: what is written, without any geometry.
import { Fault, named } from "./tokens.js";

const ORDERS = { "-": 1, "/": 1, "\\": 1, "=": 2, "#": 3, ":": 1.5, "~": 1, $: 4 };
const BRACKET = /^\[(\d*)([A-Z][a-z]?|[a-z]{1,2}|\*)(@{0,2})(H?)(\d*)([+-]?)(\d*)\]$/;

// `symbols` of one side of a reaction, and the token of the first. Gives the atoms in the order in
// which they are written, the bonds between them, and the smallest rings.
export const moleculesOf = (symbols, firstToken) => {
  const reader = { atoms: [], bonds: [], open: [], last: null, bond: null, rings: new Map() };
  symbols.forEach((symbol, k) => {
    readSymbol(reader, symbol, firstToken + k);
  });
  const { atoms, bonds } = reader;
  finishMolecule(reader);
  if (atoms.length && reader.last === null)
    throw new Fault(`There is no molecule behind ${named(symbols.at(-1))}.`);
  const [ring] = reader.rings.values();
  if (ring) throw new Fault(`The ring that ${named(ring.symbol)} opens is not closed.`);
  const rings = ringsOf(atoms.length, bonds);
  settleAromaticBonds(atoms, bonds, rings);
  return { atoms, bonds, rings };
};

// Nothing may be left open at the end of a molecule, but rings, which go on behind a dot.
const finishMolecule = (reader) => {
  finishBond(reader);
  if (reader.open.length)
    throw new Fault(`${named(reader.open.at(-1).symbol)} is not closed by a “)”.`);
};

const finishBond = ({ bond }) => {
  if (bond) throw new Fault(`${named(bond)} needs an atom behind it.`);
};

const readSymbol = (reader, symbol, token) => {
  const { text } = symbol;
  if (text === "(") openBranch(reader, symbol);
  else if (text === ")") closeBranch(reader, symbol);
  else if (text === ".") endMolecule(reader, symbol);
  else if (text in ORDERS) readBond(reader, symbol);
  else if (/^(\d|%)/.test(text)) readRing(reader, symbol);
  else readAtom(reader, symbol, token);
};

const openBranch = (reader, symbol) => {
  if (reader.last === null) throw new Fault(`${named(symbol)} needs an atom before it.`);
  finishBond(reader);
  reader.open.push({ symbol, atom: reader.last });
};

const closeBranch = (reader, symbol) => {
  finishBond(reader);
  const opened = reader.open.pop();
  if (!opened) throw new Fault(`${named(symbol)} closes nothing.`);
  if (opened.symbol.place === symbol.place - 1)
    throw new Fault(`${named(symbol)} closes a branch without an atom.`);
  reader.last = opened.atom;
};

const endMolecule = (reader, symbol) => {
  if (reader.last === null) throw new Fault(`There is no molecule before ${named(symbol)}.`);
  finishMolecule(reader);
  reader.last = null;
};

const readBond = (reader, symbol) => {
  if (reader.last === null) throw new Fault(`${named(symbol)} needs an atom before it.`);
  if (reader.bond) throw new Fault(`${named(symbol)} follows a bond; an atom should.`);
  reader.bond = symbol;
};

const readRing = (reader, symbol) => {
  const { last, rings, bond } = reader;
  if (last === null) throw new Fault(`${named(symbol)} needs an atom before it.`);
  const key = Number(symbol.text.replace("%", ""));
  reader.bond = null;
  const opened = rings.get(key);
  if (!opened) {
    rings.set(key, { symbol, atom: last, bond });
    return;
  }
  rings.delete(key);
  if (opened.atom === last || bondBetween(reader.bonds, opened.atom, last))
    throw new Fault(`${named(symbol)} closes a ring of fewer than three atoms.`);
  addBond(reader, opened.atom, last, bond ?? opened.bond);
};

const readAtom = (reader, symbol, token) => {
  const atom = atomOf(symbol);
  reader.atoms.push({ ...atom, token });
  const index = reader.atoms.length - 1;
  if (reader.last !== null) addBond(reader, reader.last, index, reader.bond);
  Object.assign(reader, { last: index, bond: null });
};

const atomOf = (symbol) => {
  const { text } = symbol;
  if (text[0] !== "[") {
    if (!/^[A-Za-z*]/.test(text)) throw new Fault(`${named(symbol)} stands for no atom.`);
    return { element: capital(text), aromatic: /^[a-z]/.test(text), hydrogens: 0, charge: 0 };
  }
  const found = text.match(BRACKET);
  if (!found) throw new Fault(`${named(symbol)} is no atom.`);
  const [, isotope, element, , hydrogen, count, sign, size] = found;
  return {
    element: capital(element),
    aromatic: /^[a-z]/.test(element),
    hydrogens: hydrogen ? Number(count || 1) : 0,
    charge: sign ? Number(`${sign}${size || 1}`) : 0,
    ...(isotope && { isotope: Number(isotope) }),
  };
};

const capital = (text) => text[0].toUpperCase() + text.slice(1);

// The order of a bond that is not written is settled once the rings are known.
const addBond = (reader, a, b, symbol) => {
  reader.bonds.push({ a, b, order: symbol ? ORDERS[symbol.text] : null });
};

const bondBetween = (bonds, a, b) =>
  bonds.some((bond) => (bond.a === a && bond.b === b) || (bond.a === b && bond.b === a));

// A bond that is not written is aromatic between two aromatic atoms of one ring, else single.
const settleAromaticBonds = (atoms, bonds, rings) => {
  const aromatic = rings.filter((ring) => ring.every((k) => atoms[k].aromatic));
  for (const bond of bonds) {
    const inRing = aromatic.some((ring) => ring.includes(bond.a) && ring.includes(bond.b));
    bond.order ??= inRing ? 1.5 : 1;
  }
};

// For each atom, the atoms that it is bound to.
export const neighboursOf = (count, bonds) => {
  const neighbours = Array.from({ length: count }, () => []);
  for (const { a, b } of bonds) {
    neighbours[a].push(b);
    neighbours[b].push(a);
  }
  return neighbours;
};

// The smallest rings that make up all others, each as its atoms on the way around.
export const ringsOf = (count, bonds) => {
  const neighbours = neighboursOf(count, bonds);
  const candidates = bonds
    .map((bond) => shortestWay(neighbours, bond))
    .filter((ring) => ring)
    .sort((one, other) => one.length - other.length);
  const bitOf = new Map(bonds.map(({ a, b }, k) => [key(a, b), 1n << BigInt(k)]));
  const basis = []; // sets of bonds as bits; a ring that is a sum of smaller ones is none
  return candidates.filter((ring) => {
    let set = ring.reduce(
      (bits, a, k) => bits ^ bitOf.get(key(a, ring[(k + 1) % ring.length])),
      0n,
    );
    for (const other of basis) if ((set ^ other) < set) set ^= other;
    if (set) basis.push(set);
    return set;
  });
};

const key = (a, b) => (a < b ? `${a} ${b}` : `${b} ${a}`);

// The shortest way from one end of a bond to the other that does not use it.
const shortestWay = (neighbours, { a, b }) => {
  const from = new Map([[a, null]]);
  for (const atom of from.keys())
    for (const next of neighbours[atom])
      if (!from.has(next) && !(atom === a && next === b)) from.set(next, atom);
  if (!from.has(b)) return null;
  const way = [];
  for (let atom = b; atom !== null; atom = from.get(atom)) way.push(atom);
  return way;
};
