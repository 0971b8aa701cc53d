type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** The keys of `from` that have a value: spread over defaults, an absent one then does not hide its default. */
export function defined<T extends object>(from: T): Defined<T> {
  const result: Defined<T> = {};
  for (const key of Object.keys(from) as (keyof T)[]) {
    const value = from[key];
    if (value !== undefined) result[key] = value as Exclude<T[keyof T], undefined>;
  }
  return result;
}
