// Reads mapped tensors from the disk before they are needed.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "model/safetensors.h"

namespace weir {

// A thread that asks the system for the pages of tensors in the order in which they will be used, some way
// ahead of their use, so that the disk works while tensors are converted. Without it a load waits for the
// disk page by page.
class Readahead {
 public:
  // The tensors' memory must outlive the object.
  explicit Readahead(std::vector<TensorView> tensors);
  ~Readahead();
  Readahead(const Readahead&) = delete;
  Readahead& operator=(const Readahead&) = delete;

  // The tensor will not be read again: its pages no longer count as memory of the process.
  void used(const TensorView& tensor);

 private:
  void run();
  // Waits until there is room for another piece; false if the object ends.
  bool wait_for_room();

  std::vector<TensorView> tensors_;
  int64_t ahead_;  // bytes that may be asked for before they are used
  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t asked_ = 0;  // bytes
  int64_t used_ = 0;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace weir
