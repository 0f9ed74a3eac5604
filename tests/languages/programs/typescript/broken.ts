const count: number = ;
console.log(count);
