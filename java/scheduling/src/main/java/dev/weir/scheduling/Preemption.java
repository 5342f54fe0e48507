package dev.weir.scheduling;

/** What happens to the KV blocks of an evicted request. */
public enum Preemption {
  /**
   * They are dropped; prompt and generated tokens are prefilled again when the request comes back.
   */
  RECOMPUTE,
  /**
   * They move to the host swap space and come back later; a request that does not fit there is
   * evicted by recompute.
   */
  SWAP
}
