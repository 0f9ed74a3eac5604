// The trials that need namespaces: making what the launcher makes, and mounting in it.
//
// Everything happens in namespaces of the calling child and is gone with it. Allocates nothing.
#pragma once

#include "host/child_trial.h"

namespace airlock::host {

// Both are for run_in_child.
void try_namespaces(TrialRecord* record);
void try_overlay(TrialRecord* record);

}  // namespace airlock::host
