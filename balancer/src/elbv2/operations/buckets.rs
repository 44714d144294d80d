//! Buckets of S3 and what is in them: folders and files below one folder of the configuration. Nothing else can be named.

use std::path::PathBuf;

use crate::elbv2::{
    call::{OperationCall, shown},
    failure::ApiFailure,
};

/// A file that a bucket and a key name, and what is in it.
pub(super) struct BucketFile {
    pub(super) path: String,
    pub(super) text: Vec<u8>,
}

/// Reads the file of a bucket and a key; `code` is what is answered where there is none.
///
/// # Errors
/// There is none, or no bucket can be.
pub(super) fn read(
    call: &OperationCall<'_>,
    code: &'static str,
    bucket: &str,
    key: &str,
    version: Option<&str>,
) -> Result<BucketFile, ApiFailure> {
    let Some(folder) = &call.world.buckets else {
        let message = "There is no S3 here: give a folder whose folders stand for buckets in the control_api block of the \
                       configuration, or write the trust store there";
        return Err(ApiFailure::new("OperationNotPermitted", message));
    };
    let quoted = format!("'{}' in the bucket '{}'", shown(key), shown(bucket));
    if version.is_some() {
        let message = format!("A version of {quoted} is not known here: files have none; leave it out");
        return Err(ApiFailure::new(code, message));
    }
    let is_name = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && !part.contains(|character: char| character.is_control())
    };
    if bucket.contains('/') || !is_name(bucket) || !key.split('/').all(is_name) {
        return Err(ApiFailure::new(code, format!("{quoted} is no name of a file in a folder")));
    }
    let path = [folder.as_str(), bucket, key].iter().collect::<PathBuf>().to_string_lossy().into_owned();
    match (call.world.read_file)(&path) {
        Ok(text) => Ok(BucketFile { path, text }),
        Err(why) => Err(ApiFailure::new(code, format!("{quoted} cannot be read: {why}"))),
    }
}
