package dev.weir.runtime;

/**
 * A file of the model is damaged or contradicts itself or another one; or, from {@link Step#run},
 * the logits of an entry are not finite, and {@link #needed()} is that entry.
 */
public final class InvalidModelException extends WeirException {
  InvalidModelException(String message, long needed) {
    super(Status.INVALID_MODEL, message, needed, 0, null);
  }
}
