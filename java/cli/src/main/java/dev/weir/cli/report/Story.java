package dev.weir.cli.report;

/**
 * A generated text to show.
 *
 * @param prompt the prompt
 * @param text what the model wrote after it
 */
public record Story(String prompt, String text) {}
