/**
 * The live serving loop: {@link dev.weir.engine.Engine} takes {@link
 * dev.weir.engine.GenerationRequest requests}, batches them over a paged KV cache as a {@link
 * dev.weir.scheduling.Scheduler} decides, and streams their tokens back as {@link
 * dev.weir.engine.Generation generations}.
 */
package dev.weir.engine;
