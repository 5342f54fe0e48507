package dev.weir.engine.tokenizer;

/**
 * A tokenizer file is missing, damaged, hostile or of an unsupported kind, or a tokenizer was used
 * after closing.
 */
public final class TokenizerException extends RuntimeException {
  private static final long serialVersionUID = 1;

  public TokenizerException(String message) {
    super(message);
  }

  public TokenizerException(String message, Throwable cause) {
    super(message, cause);
  }
}
