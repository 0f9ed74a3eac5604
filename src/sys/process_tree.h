// The processes below ourselves, found in /proc: for where no pid namespace and no cgroup holds
// them together.
//
// Who calls these is a child subreaper (prctl(2)), so that what loses its parent becomes a child of
// ours and is found again. Neither allocates nor uses more of the C library than a few system
// calls: made for airlock-init as well. One thread at a time.
#pragma once

#include <cstdint>

namespace airlock::sys {

// Whether /proc shows our processes.
bool can_list_processes();

// From here on every process of the namespace but us and pid 1, which reaps what loses its parent,
// counts as below us.
void claim_all_processes();

// Signals every process below us once. How many there were; -1 without /proc.
int signal_descendants(int number);

// Resident memory of everything below the process `root` together; what is shared is counted for
// each that has it. 0 without /proc.
std::uint64_t resident_bytes_below(int root);

// SIGKILL for everything below us, again and again until nothing is left, all of it reaped. None
// may start another process meanwhile. False without /proc, or if some cannot be ended.
bool end_descendants();

}  // namespace airlock::sys
