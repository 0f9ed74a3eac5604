const nothing = undefined;
console.log(nothing.field);
