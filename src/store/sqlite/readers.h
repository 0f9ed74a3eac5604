// Readers: threads with a connection each, which only read.
//
// What is asked is answered by whichever is free, so that a long list holds up neither the writer
// nor the next question. Answers see everything that was answered by the writer before they were
// asked. `finish` answers all that is there.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "store/sqlite/admission.h"
#include "store/sqlite/database.h"

namespace airlock::store::sqlite {

class Readers {
 public:
  using Question = std::function<void(Database&)>;

  explicit Readers(std::vector<std::unique_ptr<Database>> databases);
  Readers(const Readers&) = delete;
  Readers& operator=(const Readers&) = delete;
  ~Readers();

  // As those of Writer.
  base::Status try_push(Question question);
  void refuse_more();
  void finish();

 private:
  void work(Database& database);

  std::vector<std::unique_ptr<Database>> databases_;
  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<Question> queued_;
  Admission admission_ = Admission::kOpen;
  std::vector<std::thread> threads_;  // last: they use all of the above
};

}  // namespace airlock::store::sqlite
