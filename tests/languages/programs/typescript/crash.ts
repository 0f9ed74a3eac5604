function first(items: string[]): string {
  return (items[0] as string).toUpperCase();
}

console.log(first([]));
