// The PTX instructions that CUDA C++ has no function for, each as a function of its name: PTX ISA 8.x,
// https://docs.nvidia.com/cuda/parallel-thread-execution. All inline assembly of the CUDA backend is in this
// file.
//
// Pointers named `shared` point into shared memory, `global` into global memory; both are generic pointers.
// WEIR_SM90_FEATURES is 1 where the code may use what only compute capability 9.0 has (mbarrier transactions,
// bulk copies), 0 elsewhere; those functions exist only where it is 1.
#pragma once

#if !defined(__CUDACC__)
// Code for the CPU has the same functions: see native/emulator.
#include "emulator/ptx.h"
#else

#include <cuda_runtime.h>

#include <cstdint>

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#define WEIR_SM90_FEATURES 1
#else
#define WEIR_SM90_FEATURES 0
#endif

namespace weir::cuda {

// How much around a copied address is brought into the L2 cache.
enum class L2Prefetch { kNone, k128Bytes };

__device__ __forceinline__ uint32_t shared_address(const void* shared) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(shared));
}

// Copies 16 bytes, past the L1 cache, in the background: to be seen after cp_async_wait and a barrier. Both
// addresses are multiples of 16.
template <L2Prefetch kPrefetch = L2Prefetch::kNone>
__device__ __forceinline__ void cp_async_16(void* shared, const void* global) {
  if constexpr (kPrefetch == L2Prefetch::k128Bytes) {
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16;" ::"r"(shared_address(shared)),
                 "l"(global)
                 : "memory");
  } else {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(shared)), "l"(global)
                 : "memory");
  }
}

// As cp_async_16, but reads only the first `source_bytes` <= 16 and writes zeros for the others; with 0
// nothing is read.
template <L2Prefetch kPrefetch = L2Prefetch::kNone>
__device__ __forceinline__ void cp_async_16_zero_fill(void* shared, const void* global,
                                                      uint32_t source_bytes) {
  if constexpr (kPrefetch == L2Prefetch::k128Bytes) {
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(shared_address(shared)),
                 "l"(global), "r"(source_bytes)
                 : "memory");
  } else {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global),
                 "r"(source_bytes)
                 : "memory");
  }
}

// Ends a group of the thread's copies since the last one; a group may be empty.
__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until at most kPending of the thread's latest groups are under way.
template <int kPending>
__device__ __forceinline__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

// Loads four 8x8 matrices of 16-bit elements. Lane 8m + r gives the address of row r of matrix m, 16 bytes, a
// multiple of
// 16. Lane l receives in registers[m] elements 2 (l % 4) and 2 (l % 4) + 1 of row l / 4 of matrix m, the
// first in the low half. All lanes of the warp call it together.
__device__ __forceinline__ void ldmatrix_x4(uint32_t (&registers)[4], const void* shared) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
               : "r"(shared_address(shared))
               : "memory");
}

// As ldmatrix_x4, of the transposed matrices: lane l receives elements l / 4 of rows 2 (l % 4) and 2 (l % 4)
// + 1.
__device__ __forceinline__ void ldmatrix_x4_trans(uint32_t (&registers)[4], const void* shared) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
               : "r"(shared_address(shared))
               : "memory");
}

// d += a b with a [16, 16] and b [16, 8] of binary16, d [16, 8] of float. With g = lane / 4 and t = 2 (lane %
// 4), a lane holds
//   a: rows g, g + 8, g, g + 8 and columns t, t, t + 8, t + 8, each with the next column in the high half
//   b: rows t and t + 8 of column g, each with the next row in the high half
//   d: row g, columns t and t + 1, then row g + 8.
// All lanes of the warp call it together.
__device__ __forceinline__ void mma_m16n8k16_f16(float (&d)[4], const uint32_t (&a)[4],
                                                 const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// As mma_m16n8k16_f16, of bfloat16.
__device__ __forceinline__ void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4],
                                                  const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Loads 16 bytes that this kernel reads once and nobody writes while it runs; they leave the L1 cache to
// others.
__device__ __forceinline__ uint4 load_streaming_16(const void* global) {
  uint4 value;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
               : "l"(global));
  return value;
}

// Brings the cache line at `global` into the L2 cache.
__device__ __forceinline__ void prefetch_l2(const void* global) {
  asm volatile("prefetch.global.L2 [%0];" ::"l"(global));
}

// In a kernel launched with programmatic stream serialization: waits until the kernel before it has ended and
// what it wrote can be read. Nothing below compute capability 9.0, where such launches do not overlap.
__device__ __forceinline__ void griddepcontrol_wait() {
#if WEIR_SM90_FEATURES
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// Lets the kernel after this one start, once every block has called it or ended.
__device__ __forceinline__ void griddepcontrol_launch_dependents() {
#if WEIR_SM90_FEATURES
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

#if WEIR_SM90_FEATURES

// Prepares a barrier in shared memory whose phases end after `arrivals` arrivals and once all expected bytes
// are there. One thread does it, then fence_mbarrier_init, then the block synchronizes.
__device__ __forceinline__ void mbarrier_init(uint64_t* barrier, uint32_t arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals)
               : "memory");
}

// Makes initialized barriers visible to bulk copies.
__device__ __forceinline__ void fence_mbarrier_init() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

// Orders the thread's accesses to shared memory before the bulk copies that follow.
__device__ __forceinline__ void fence_proxy_async() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

__device__ __forceinline__ void mbarrier_arrive(uint64_t* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}

// Arrives, and lets the current phase also wait for `bytes` of bulk copies.
__device__ __forceinline__ void mbarrier_arrive_expect_tx(uint64_t* barrier, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)),
               "r"(bytes)
               : "memory");
}

// Whether the phase of this parity has ended; waits for a while. The first phase has parity 0.
__device__ __forceinline__ bool mbarrier_try_wait_parity(uint64_t* barrier, uint32_t parity) {
  uint32_t done;
  asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
      "selp.u32 %0, 1, 0, p;\n"
      "}\n"
      : "=r"(done)
      : "r"(shared_address(barrier)), "r"(parity)
      : "memory");
  return done != 0;
}

// Copies `bytes` in the background and counts them off at `barrier`. One thread calls it for the block.
// Addresses and size are multiples of 16.
__device__ __forceinline__ void cp_async_bulk(void* shared, const void* global, uint32_t bytes,
                                              uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
          shared_address(shared)),
      "l"(global), "r"(bytes), "r"(shared_address(barrier))
      : "memory");
}

#endif  // WEIR_SM90_FEATURES

}  // namespace weir::cuda

#endif  // defined(__CUDACC__)
