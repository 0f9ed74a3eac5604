fn main() {
    let numbers: Vec<u32> = std::env::args().map(|word| word.len() as u32).collect();
    println!("{}", numbers[7]);
}
