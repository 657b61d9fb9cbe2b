/** Prints how many tests passed and failed, from the JSON that vitest wrote. A file that could not be run counts as a failed test. */
import { readFileSync } from 'node:fs';

const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const broken = testResults.filter(file => file.status === 'failed' && file.assertionResults.length === 0).length;
const failed = numFailedTests + broken;
console.log(`${numPassedTests} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
