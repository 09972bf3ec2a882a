// Where the atoms of molecules are drawn, in bond lengths: rings as regular polygons, chains in
// zig-zag, branches turned over until nothing lies on anything else.
import { neighboursOf } from "./molecule.js";

const SIXTH = Math.PI / 3;
const ROOMY = 0.9; // closer atoms that are not bound to each other are in each other's way
const GAP = 1.3; // between two molecules
const ROW_GAP = 1.7;

// Gives every atom x and y, and the size of the whole; molecules stand in rows up to `width` wide.
export const layOut = ({ atoms, bonds, rings }, width) => {
  const neighbours = neighboursOf(atoms.length, bonds);
  const places = new Array(atoms.length);
  const plan = { atoms, bonds, neighbours, places, systems: ringSystems(rings) };
  const molecules = connected(neighbours).map((members) => {
    placeMolecule(plan, members);
    untangle(plan, members, OVER);
    if (isTangled(plan, members)) untangle(plan, members, [...OVER, ...BENDS]);
    if (isTangled(plan, members)) spreadAll(plan, members);
    return turned(plan, members);
  });
  return inRows(plan, molecules, width);
};

// ---- points

const plus = (p, q) => ({ x: p.x + q.x, y: p.y + q.y });
const minus = (p, q) => ({ x: p.x - q.x, y: p.y - q.y });
const away = (angle, length = 1) => ({ x: length * Math.cos(angle), y: length * Math.sin(angle) });
const angleOf = ({ x, y }) => Math.atan2(y, x);
const distance = (p, q) => Math.hypot(p.x - q.x, p.y - q.y);
const middleOf = (points) => {
  const sum = points.reduce(plus);
  return { x: sum.x / points.length, y: sum.y / points.length };
};
const mirrored = (p, a, b) => {
  const along = minus(b, a);
  const t = ((p.x - a.x) * along.x + (p.y - a.y) * along.y) / (along.x ** 2 + along.y ** 2);
  const foot = { x: a.x + t * along.x, y: a.y + t * along.y };
  return minus({ x: 2 * foot.x, y: 2 * foot.y }, p);
};

// ---- parts

const reach = (neighbours, start, isOpen) => {
  const found = new Set([start]);
  for (const atom of found)
    for (const next of neighbours[atom]) if (isOpen(atom, next)) found.add(next);
  return found;
};

const connected = (neighbours) => {
  const seen = new Set();
  return neighbours.flatMap((_, atom) => {
    if (seen.has(atom)) return [];
    const members = reach(neighbours, atom, () => true);
    for (const member of members) seen.add(member);
    return [[...members]];
  });
};

// Rings that share atoms, together; each with its places once it has been drawn by itself.
const ringSystems = (rings) => {
  let systems = [];
  for (const ring of rings) {
    const touches = (system) => system.some((other) => other.some((atom) => ring.includes(atom)));
    const joined = systems.filter(touches);
    systems = [...systems.filter((system) => !touches(system)), [...joined.flat(), ring]];
  }
  return systems;
};

// ---- rings

const placeSystem = (plan, rings) => {
  const own = new Map();
  const waiting = [...rings].sort((one, other) => other.length - one.length);
  let isBridged = false;
  while (waiting.length) {
    const shared = (ring) => ring.filter((atom) => own.has(atom)).length;
    waiting.sort((one, other) => shared(other) - shared(one));
    const ring = waiting.shift();
    const count = shared(ring);
    if (count === ring.length) continue;
    if (count > 2) isBridged = true;
    placeRing(own, ring, count);
  }
  if (isBridged) spread(plan, own);
  return own;
};

const placeRing = (own, ring, count) => {
  const n = ring.length;
  const radius = 0.5 / Math.sin(Math.PI / n);
  if (count === 0) {
    ring.forEach((atom, k) => {
      own.set(atom, away((2 * Math.PI * k) / n, radius));
    });
    return;
  }
  const middle = middleOf([...own.values()]);
  // turned until the first atoms are those without a place, and the last two have one
  const start = ring.findIndex((atom, k) => !own.has(atom) && own.has(ring[(k + n - 1) % n]));
  const around = [...ring.slice(start), ...ring.slice(0, start)];
  const fresh = around.findIndex((atom) => own.has(atom));
  const [from, to] = [own.get(around[n - 1]), own.get(around[fresh])];
  const [centre, size] = centreOf({ from, to, middle, count, radius, n });
  const first = angleOf(minus(from, centre));
  const whole =
    count === 1 ? 2 * Math.PI : sweep(first, angleOf(minus(to, centre)), middle, centre);
  for (let k = 0; k < fresh; k++)
    own.set(around[k], plus(centre, away(first + (whole * (k + 1)) / (fresh + 1), size)));
};

// The centre of a ring that continues from the atoms at `from` and `to`, on the side away from
// `middle`, and its radius.
const centreOf = ({ from, to, middle, count, radius, n }) => {
  if (count === 1) return [plus(from, away(angleOf(minus(from, middle)), radius)), radius];
  const half = middleOf([from, to]);
  const outwards = angleOf(minus(half, middle));
  const chord = angleOf(minus(to, from));
  const normal = Math.cos(outwards - chord - Math.PI / 2) >= 0 ? 1 : -1;
  const depth = count === 2 ? radius * Math.cos(Math.PI / n) : 0;
  const centre = plus(half, away(chord + (normal * Math.PI) / 2, depth));
  return [centre, distance(centre, from)];
};

// The angle from `first` to `last` around a centre, the way that keeps away from `middle`.
const sweep = (first, last, middle, centre) => {
  const forwards = (last - first + 4 * Math.PI) % (2 * Math.PI);
  const facing = (angle) => Math.cos(angle - angleOf(minus(middle, centre)));
  const backwards = forwards - 2 * Math.PI;
  return facing(first + forwards / 2) < facing(first + backwards / 2) ? forwards : backwards;
};

// Bridged rings have no flat polygons: their atoms move until each pair is as far apart as it is
// many bonds, near pairs first (stress majorization).
const spread = ({ neighbours }, own) => {
  const members = [...own.keys()];
  const steps = members.map((atom) => {
    const far = new Map([[atom, 0]]);
    for (const [at, d] of far)
      for (const next of neighbours[at]) if (own.has(next) && !far.has(next)) far.set(next, d + 1);
    return far;
  });
  for (let round = 0; round < 200; round++)
    members.forEach((atom, k) => {
      let [x, y, total] = [0, 0, 0];
      for (const other of members) {
        if (other === atom) continue;
        const [p, q] = [own.get(atom), own.get(other)];
        const wanted = steps[k].get(other) ** 0.9; // rings bend back
        const factor = wanted / (distance(p, q) || 1e-3);
        const weight = wanted ** -3;
        x += weight * (q.x + (p.x - q.x) * factor);
        y += weight * (q.y + (p.y - q.y) * factor);
        total += weight;
      }
      own.set(atom, { x: x / total, y: y / total });
    });
};

// ---- the whole molecule

const placeMolecule = (plan, members) => {
  const { places, systems } = plan;
  const mine = systems.filter((system) => members.includes(system[0][0]));
  const largest = mine.toSorted((one, other) => other.length - one.length)[0];
  const queue = [];
  if (largest) {
    for (const [atom, place] of placeSystem(plan, largest)) {
      places[atom] = place;
      queue.push({ atom, bend: 1 });
    }
  } else {
    // an end of a chain, so that it runs through in one direction
    const start = members.find((atom) => plan.neighbours[atom].length <= 1) ?? members[0];
    places[start] = { x: 0, y: 0 };
    queue.push({ atom: start, bend: 1 });
  }
  for (const { atom, bend } of queue) placeAround(plan, queue, atom, bend);
};

const placeAround = (plan, queue, atom, bend) => {
  const { places } = plan;
  const fresh = largestInTheMiddle(plan, atom);
  const angles = freeAngles(plan, atom, fresh.length, bend);
  fresh.forEach((other, k) => {
    const place = plus(places[atom], away(angles[k]));
    const system = plan.systems.find((rings) => rings.some((ring) => ring.includes(other)));
    if (!system) {
      places[other] = place;
      queue.push({ atom: other, bend: -bend });
      return;
    }
    attach(plan, { system, atom: other, place, angle: angles[k] });
    for (const member of new Set(system.flat())) queue.push({ atom: member, bend: 1 });
  });
};

// The neighbours without a place: where there are three, the longest branch goes straight on.
const largestInTheMiddle = ({ places, neighbours }, atom) => {
  const fresh = neighbours[atom].filter((other) => !places[other]);
  const sizes = fresh.map((other) => reach(neighbours, other, (_, to) => to !== atom).size);
  const [middle, largest] = [(fresh.length - 1) >> 1, sizes.indexOf(Math.max(...sizes))];
  if (fresh.length) [fresh[middle], fresh[largest]] = [fresh[largest], fresh[middle]];
  return fresh;
};

// Directions for `count` more neighbours of an atom: they share its widest gap.
const freeAngles = ({ places, neighbours, bonds }, atom, count, bend) => {
  const taken = neighbours[atom]
    .filter((other) => places[other])
    .map((other) => angleOf(minus(places[other], places[atom])))
    .sort((one, other) => one - other);
  if (!taken.length) return Array.from({ length: count }, (_, k) => (2 * Math.PI * k) / count);
  if (taken.length === 1 && count === 1)
    return [taken[0] + (isStraight(bonds, atom) ? Math.PI : bend * 2 * SIXTH)];
  const gaps = taken.map((angle, k) => (taken[k + 1] ?? taken[0] + 2 * Math.PI) - angle);
  const widest = gaps.indexOf(Math.max(...gaps));
  const share = gaps[widest] / (count + 1);
  return Array.from({ length: count }, (_, k) => taken[widest] + share * (k + 1));
};

const isStraight = (bonds, atom) => {
  const orders = bonds.filter(({ a, b }) => a === atom || b === atom).map((bond) => bond.order);
  return orders.includes(3) || orders.filter((order) => order === 2).length === 2;
};

// Puts a ring system down so that `atom` is at `place` and its way out points back along `angle`.
const attach = (plan, { system, atom, place, angle }) => {
  const own = placeSystem(plan, system);
  const outside = plan.neighbours[atom].filter((other) => !own.has(other)).length;
  const inner = { ...plan, places: [] };
  for (const [member, p] of own) inner.places[member] = p;
  const [way] = freeAngles(inner, atom, outside, 1);
  const turn = angle + Math.PI - way;
  for (const [member, p] of own) {
    const q = minus(p, own.get(atom));
    plan.places[member] = plus(place, away(angleOf(q) + turn, Math.hypot(q.x, q.y)));
  }
};

// ---- tidying

const crowding = ({ places }, some, others) => {
  let sum = 0;
  for (const a of some)
    for (const b of others) {
      const d = distance(places[a], places[b]);
      if (a !== b && d < 3) sum += d < ROOMY ? 100 * (1 + ROOMY - d) : 1 / d ** 2;
    }
  return sum;
};

// What may be done to the part that hangs on the bond from a to b: turning it over, bending it.
const OVER = [mirrored];
const BENDS = [-2, -1, 1, 2].map((step) => (p, a) => {
  const q = minus(p, a);
  return plus(a, away(angleOf(q) + (step * SIXTH) / 4, Math.hypot(q.x, q.y)));
});

// Moves what hangs on a bond wherever that makes more room.
const untangle = (plan, members, moves) => {
  const { bonds, neighbours, places } = plan;
  const inside = new Set(members);
  const turning = bonds
    .filter(({ a }) => inside.has(a))
    .map(({ a, b }) => {
      const part = reach(neighbours, b, (from, to) => !(from === b && to === a));
      return { a, b, part: [...part], rest: members.filter((atom) => !part.has(atom)) };
    })
    .filter(({ a, part }) => !part.includes(a)); // no bond of a ring
  for (let round = 0; round < 3; round++)
    for (const { a, b, part, rest } of turning)
      for (const move of moves) {
        const before = crowding(plan, part, rest);
        const kept = part.map((atom) => places[atom]);
        const [p, q] = [places[a], places[b]];
        for (const atom of part) places[atom] = move(places[atom], p, q);
        if (crowding(plan, part, rest) < before - 1e-6) continue;
        part.forEach((atom, k) => {
          places[atom] = kept[k];
        });
      }
};

const isTangled = ({ places }, members) =>
  members.some((a) => members.some((b) => b < a && distance(places[a], places[b]) < 0.55));

const spreadAll = (plan, members) => {
  const own = new Map(members.map((atom) => [atom, plan.places[atom]]));
  spread(plan, own);
  for (const [atom, place] of own) plan.places[atom] = place;
};

// Lays a molecule down along its length, in steps that keep hexagons upright.
const turned = ({ places, bonds, systems }, members) => {
  const mine = bonds.filter(({ a }) => members.includes(a));
  const inRing = ({ a, b }) =>
    systems.some((rings) => rings.some((ring) => ring.includes(a) && ring.includes(b)));
  const bond = mine.find(inRing) ?? mine[0];
  const base = bond ? angleOf(minus(places[bond.b], places[bond.a])) : 0;
  const tried = Array.from({ length: 12 }, (_, k) => {
    const turn = (k * SIXTH) / 2 - base;
    const points = members.map((atom) => {
      const p = places[atom];
      return away(angleOf(p) + turn, Math.hypot(p.x, p.y));
    });
    const [xs, ys] = [points.map((p) => p.x), points.map((p) => p.y)];
    const [left, top] = [Math.min(...xs), Math.min(...ys)];
    const [width, height] = [Math.max(...xs) - left, Math.max(...ys) - top];
    return { members, points, left, top, width, height };
  });
  return tried.reduce((best, now) => (now.height < best.height - 1e-6 ? now : best));
};

const inRows = (plan, molecules, most) => {
  let [x, y, rowHeight, width] = [0, 0, 0, 0];
  const gaps = []; // where a plus sign stands
  const rows = [[]];
  for (const molecule of molecules) {
    if (x > 0 && x + GAP + molecule.width > most) {
      rows.push([]);
      x = 0;
    }
    rows.at(-1).push(molecule);
    x += molecule.width + (x > 0 ? GAP : 0);
  }
  for (const row of rows) {
    rowHeight = Math.max(...row.map((molecule) => molecule.height));
    x = 0;
    for (const { members, points, left, top, width: wide, height } of row) {
      const shift = { x: x - left, y: y - top + (rowHeight - height) / 2 };
      members.forEach((atom, k) => {
        plan.places[atom] = plus(points[k], shift);
      });
      x += wide + GAP;
      gaps.push({ x: x - GAP / 2, y: y + rowHeight / 2 });
    }
    width = Math.max(width, x - GAP);
    y += rowHeight + ROW_GAP;
  }
  gaps.pop();
  return { places: plan.places, gaps, width, height: y - ROW_GAP };
};
