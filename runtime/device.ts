/** What programs with a device wait for, and others do not. Works on any platform. */
import type { CompiledProgram, TensorPlace } from './program.ts';

/** Before anything runs. */
export async function openDevice(program: CompiledProgram): Promise<void> {
  if (program.device !== null) await program.device.open();
}

/** Makes `memory` hold what the runs until now have left in the given places. */
export async function fetchPlaces(program: CompiledProgram, places: readonly TensorPlace[]): Promise<void> {
  if (program.device !== null) await program.device.fetch(places);
}
