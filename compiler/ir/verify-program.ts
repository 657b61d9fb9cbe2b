/** What must hold of a program: every access lies in the arena, and no two buffers share bytes while both are needed. */
import { reachOfCall, type Program } from './program.ts';
import { elementBytes } from './type.ts';

/** One sentence for each thing that does not hold. */
export function verifyProgram(program: Program): string[] {
  const problems: string[] = [];
  for (const buffer of program.buffers) {
    if (buffer.offset % 64 !== 0) problems.push(`buffer \`${buffer.name}\` is not aligned`);
    if (buffer.offset + buffer.bytes > program.arenaBytes) problems.push(`buffer \`${buffer.name}\` leaves the arena`);
  }
  for (const entry of program.entries) {
    for (const [i, call] of entry.calls.entries()) {
      const kernel = program.kernels[call.kernel]!;
      const accesses = [...kernel.operands, ...kernel.outputs];
      const places = [...call.reads, ...call.writes];
      accesses.forEach((access, k) => {
        const reach = reachOfCall(kernel, call, k);
        const [start, end] = [reach.from * elementBytes(access.dtype), reach.to * elementBytes(access.dtype)];
        const buffer = program.buffers[places[k]!]!;
        if (start < buffer.offset || end > buffer.offset + buffer.bytes)
          problems.push(`call ${i} of \`${entry.name}\` (${kernel.name}) leaves buffer \`${buffer.name}\` with \`${access.name}\``);
        const time = entry.first + i;
        if (buffer.lifetime && (time < buffer.lifetime[0] || time > buffer.lifetime[1]))
          problems.push(`call ${i} of \`${entry.name}\` uses \`${buffer.name}\` outside its lifetime`);
      });
    }
    const firstOther = entry.calls.findIndex(call => !program.kernels[call.kernel]!.host);
    if (firstOther >= 0 && entry.calls.slice(firstOther).some(call => program.kernels[call.kernel]!.host))
      problems.push(`a kernel of the host does not come first in \`${entry.name}\``);
    const used = [...new Set(entry.calls.flatMap(call => [...call.reads, ...call.writes]))].map(index => program.buffers[index]!);
    used.forEach((a, i) =>
      used.slice(i + 1).forEach(b => {
        const apart = a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset;
        const never = a.lifetime !== null && b.lifetime !== null && (a.lifetime[1] < b.lifetime[0] || b.lifetime[1] < a.lifetime[0]);
        if (!apart && !never) problems.push(`\`${a.name}\` and \`${b.name}\` share bytes in \`${entry.name}\``);
      }),
    );
  }
  return problems;
}
