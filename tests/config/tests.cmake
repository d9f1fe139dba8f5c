avi_add_test(test_config SOURCES test_config.c test_config_mistakes.c test_config_text.c test_config_read.c RANKS 1 3 LABELS config)
