// Blocking calls of a JobStore, for tests, tools and threads that have nothing else to do.
//
//   auto submitted = wait_for(&JobStore::submit, store, Submission{...});
//
// Waits without end: a store answers everything, at the latest when it is destroyed. Never from a
// `done` or a listener, which run on the thread that would have to answer.
#pragma once

#include <functional>
#include <future>
#include <type_traits>
#include <utility>

#include "base/result.h"
#include "store/job_store.h"

namespace airlock::store {

template <typename T>
base::Result<T> wait_for(const std::function<void(Done<T>)>& call) {
  std::promise<base::Result<T>> answer;
  auto result = answer.get_future();
  call([&answer](base::Result<T> given) { answer.set_value(std::move(given)); });
  return result.get();
}

template <typename T, typename A>
base::Result<T> wait_for(void (JobStore::*call)(A, Done<T>), JobStore& store,
                         std::type_identity_t<A> a) {
  return wait_for<T>([&](Done<T> done) { (store.*call)(std::move(a), std::move(done)); });
}

template <typename T, typename A, typename B>
base::Result<T> wait_for(void (JobStore::*call)(A, B, Done<T>), JobStore& store,
                         std::type_identity_t<A> a, std::type_identity_t<B> b) {
  return wait_for<T>(
      [&](Done<T> done) { (store.*call)(std::move(a), std::move(b), std::move(done)); });
}

}  // namespace airlock::store
