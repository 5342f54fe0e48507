package dev.weir.engine;

import java.util.Objects;

/**
 * A request was refused before anything was done for it. The message names the value, the limit and
 * the setting to turn.
 */
public final class RejectedRequestException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final RejectionReason reason;

  RejectedRequestException(RejectionReason reason, String message) {
    this(reason, message, null);
  }

  RejectedRequestException(RejectionReason reason, String message, Throwable cause) {
    super(message, cause);
    this.reason = Objects.requireNonNull(reason, "reason");
  }

  public RejectionReason reason() {
    return reason;
  }
}
