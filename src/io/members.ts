/** A set that is joined and left all the time: a list in which each knows its place. A `Set` is rebuilt again and again. */

export interface Member {
  /** For `Members` alone. */
  place: number;
}

export class Members<T extends Member> {
  readonly #list: T[] = [];

  get size(): number {
    return this.#list.length;
  }

  add(member: T): void {
    member.place = this.#list.length;
    this.#list.push(member);
  }

  /** Nothing happens if it is not in the set. */
  delete(member: T): void {
    if (this.#list[member.place] !== member) return;
    const last = this.#list.pop();
    if (last === undefined || last === member) return;
    last.place = member.place;
    this.#list[member.place] = last;
  }

  /** From the last place to the first: whoever leaves meanwhile is passed over, and nobody else is. */
  *[Symbol.iterator](): Generator<T> {
    for (let place = this.#list.length - 1; place >= 0; place--) {
      const member = this.#list[place];
      if (member !== undefined) yield member;
    }
  }
}
