/** A GPU in software that has f16 and subgroups, which SwiftShader lacks: lavapipe, of the system's Mesa drivers for Vulkan. */
import { existsSync } from 'node:fs';

/** The environment of a process that finds it; null where it is not installed. */
export function lavapipeEnvironment(): Readonly<Record<string, string>> | null {
  const driver = ['lvp_icd.json', 'lvp_icd.x86_64.json', 'lvp_icd.aarch64.json'].map(name => `/usr/share/vulkan/icd.d/${name}`).find(existsSync);
  return driver === undefined ? null : { VK_DRIVER_FILES: driver };
}
