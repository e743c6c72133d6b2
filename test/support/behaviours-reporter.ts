/** Fails a whole run in which a test that docs/reference/behaviours.md names did not run, or did not pass. */
import { relative } from 'node:path';
import type { Reporter, TestCase, TestModule, TestSpecification, TestSuite, Vitest } from 'vitest/node';
import { ROOT } from '../unit/cli/run-cli.ts';
import { rows } from './behaviours.ts';

export default class BehavioursReporter implements Reporter {
  #vitest: Vitest | undefined;
  /** Files of the run; empty where it is a choice of them, of which nothing can be said. */
  #files = new Set<string>();

  onInit(vitest: Vitest): void {
    this.#vitest = vitest;
  }

  async onTestRunStart(specifications: readonly TestSpecification[]): Promise<void> {
    const all = await this.#vitest?.globTestSpecifications();
    const isWhole = specifications.length === all?.length && this.#vitest?.config.testNamePattern === undefined;
    this.#files = new Set(isWhole ? specifications.map(({ moduleId }) => relative(ROOT, moduleId)) : []);
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    const passed = new Set(modules.flatMap((module) => passedIn(module)));
    const missing = rows()
      .flatMap(({ tests }) => tests)
      .filter(({ file, title }) => this.#files.has(file) && !passed.has(key(file, title)));
    if (missing.length === 0) return;
    const list = missing.map(({ row, file, title }) => `\n  ${row}: ${file}: ${title}`).join('');
    this.#vitest?.logger.error(`docs/reference/behaviours.md names tests that did not run and pass:${list}`);
    process.exitCode = 1;
  }
}

/** All tests and suites of the module that have run and passed. */
function passedIn(module: TestModule): string[] {
  const all: (TestCase | TestSuite)[] = [...module.children.allTests(), ...module.children.allSuites()];
  const file = relative(ROOT, module.moduleId);
  return all.filter((one) => isPassed(one)).map(({ name }) => key(file, name));
}

function isPassed(one: TestCase | TestSuite): boolean {
  return one.type === 'test' ? one.result().state === 'passed' : one.state() === 'passed';
}

function key(file: string, title: string): string {
  return `${file}\n${title}`;
}
