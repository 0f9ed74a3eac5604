// Arithmetic on vectors of resources: GPUs, CPU, memory and disk, each for itself.
//
// `minus` never wraps: what is not there is zero. Whoever has to know beforehand asks `fits`.
#pragma once

#include <string>

#include "queue/waiting_job.h"

namespace airlock::queue {

bool fits(const Resources& ask, const Resources& free);
Resources plus(const Resources& a, const Resources& b);
Resources minus(const Resources& a, const Resources& b);

// The largest part of the host that `held` is in any dimension, 0 to 1.
double dominant_share(const Resources& held, const Resources& total);

// Why a job can never run on the host: "it asks for 8 GPUs, the host has 4". Empty: it can.
std::string why_impossible(const WaitingJob& job, const Host& host);

}  // namespace airlock::queue
