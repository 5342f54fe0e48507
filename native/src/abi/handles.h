// Handles that are checked on every use: a number that names a slot of a table, not an address.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"

namespace weir::abi {

// One table for each kind of object. `Tag` is the opaque struct of weir.h whose pointers carry the handles;
// `kKind` makes the handles of one kind meaningless for the others. A handle is kind (8 bits), generation
// (24), slot (32); it is never 0, and a slot's generation changes when the object is closed.
template <typename Tag, typename Object, uint8_t kKind>
class HandleTable {
 public:
  explicit constexpr HandleTable(const char* name) : name_(name) {}

  Tag* insert(std::shared_ptr<Object> object) {
    const std::unique_lock lock(mutex_);
    uint32_t index;
    if (free_.empty()) {
      slots_.emplace_back();
      free_.reserve(slots_.capacity());
      index = static_cast<uint32_t>(slots_.size() - 1);
    } else {
      index = free_.back();
      free_.pop_back();
    }
    slots_[index].object = std::move(object);
    return encode(index, slots_[index].generation);
  }

  // The object stays alive as long as the caller holds it, even if it is closed meanwhile.
  std::shared_ptr<Object> find(const Tag* handle) const {
    const std::shared_lock lock(mutex_);
    return slots_[index_of(handle)].object;
  }

  // Returns the object so that it is destroyed outside the lock.
  std::shared_ptr<Object> remove(const Tag* handle) {
    const std::unique_lock lock(mutex_);
    const uint32_t index = index_of(handle);
    Slot& slot = slots_[index];
    slot.generation = (slot.generation + 1) & kGenerationMask;
    free_.push_back(index);
    return std::exchange(slot.object, nullptr);
  }

 private:
  static constexpr uint32_t kGenerationMask = 0xFFFFFF;

  struct Slot {
    std::shared_ptr<Object> object;
    uint32_t generation = 1;
  };

  static Tag* encode(uint32_t index, uint32_t generation) {
    const uint64_t bits = uint64_t{kKind} << 56 | uint64_t{generation} << 32 | index;
    return reinterpret_cast<Tag*>(static_cast<uintptr_t>(bits));
  }

  uint32_t index_of(const Tag* handle) const {
    if (handle == nullptr) throw invalid_argument(std::string("the ") + name_ + " handle is null");
    const uint64_t bits = reinterpret_cast<uintptr_t>(handle);
    const uint32_t index = static_cast<uint32_t>(bits);
    if (bits >> 56 != kKind || index >= slots_.size() || slots_[index].object == nullptr ||
        slots_[index].generation != (bits >> 32 & kGenerationMask)) {
      throw Error(WEIR_CLOSED,
                  std::string("the ") + name_ + " handle was closed, or is not a " + name_ + " handle");
    }
    return index;
  }

  const char* name_;
  mutable std::shared_mutex mutex_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
};

}  // namespace weir::abi
