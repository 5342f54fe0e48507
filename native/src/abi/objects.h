// What the handles of weir.h stand for. Each object keeps those it was created from alive.
#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include "abi/handles.h"
#include "backend/backend.h"
#include "core/kv_cache.h"
#include "core/step.h"
#include "model/llama.h"
#include "weir.h"

namespace weir::abi {

inline KvLayout layout_of(const ModelConfig& config, int32_t block_size, const KvElement& element) {
  return {block_size, config.layers, config.kv_heads, config.head_size, element};
}

struct DeviceObject {
  std::unique_ptr<Backend> backend;
};

struct ModelObject {
  std::shared_ptr<DeviceObject> device;
  LlamaModel model;
};

struct CacheObject {
  std::shared_ptr<ModelObject> model;
  KvCache cache;

  CacheObject(std::shared_ptr<ModelObject> owner, const KvLayout& layout, const KvCacheOptions& options)
      : model(std::move(owner)), cache(*model->device->backend, layout, options) {}
};

struct StepObject {
  std::shared_ptr<CacheObject> cache;
  Step step;
  std::atomic<bool> running{false};

  StepObject(std::shared_ptr<CacheObject> owner, const weir_step_options& options)
      : cache(std::move(owner)),
        step(*cache->model->device->backend, cache->model->model, cache->cache, options) {}
};

// Never destroyed: a thread may still be inside a call when the process ends.
HandleTable<weir_device, DeviceObject, 1>& devices();
HandleTable<weir_model, ModelObject, 2>& models();
HandleTable<weir_cache, CacheObject, 3>& caches();
HandleTable<weir_step, StepObject, 4>& steps();

}  // namespace weir::abi
